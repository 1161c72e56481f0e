"""Who computes it: jobs, splits, leases, lost workers."""
