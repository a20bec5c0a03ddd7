"""What is looked at and proposed before a run; none of it writes to a table."""
