"""What runs in the processes of a cluster's workers."""
