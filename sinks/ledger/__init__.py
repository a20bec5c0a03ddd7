"""The ledger and the lease: what is known of runs, chunks and rejects, and who may write."""
