"""Upkeep: what many nights leave behind is measured, and cleared away."""
