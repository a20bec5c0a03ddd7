"""Frames to frames: the feed's own transforms, then the cast to what the target model demands."""
