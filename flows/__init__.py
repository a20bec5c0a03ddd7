"""Order, reports and doors: the only room that knows Prefect, and the terminal command."""
