"""The same document on a Dask cluster. A run without ``--cluster`` does not import it.

``connection``: the client, who is granted seats by Dask's scheduler. ``link``: what it says to one worker and hears
from it. ``worker``: what runs in the workers' processes.
"""
