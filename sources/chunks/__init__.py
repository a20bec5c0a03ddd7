"""What a source becomes: tables with the spool's columns, set down on disk chunk by chunk."""
