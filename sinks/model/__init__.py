"""What model, feed and table say of each other, looked at before a row is written."""
