"""The cluster: runs tasks on the workers of a Dask cluster. A run without ``--cluster`` does not import it.

``address``: what ``--cluster`` may name. ``connection``: the client of Dask, to which Dask's scheduler grants seats.
``link``: the conversation with one worker. ``executor``: decides which task goes to which seat. ``lanes``: one executor
for each set of resources. ``seats``: what the executor and the connection agree on. ``worker``: runs in the workers'
processes.
"""
