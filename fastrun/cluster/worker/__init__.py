"""The worker's side of a cluster: runs in the processes of Dask's workers."""
