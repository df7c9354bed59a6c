"""Whether tasks are up to date: the files and variables that they declare, and what is in them.

``declared``: from a task to paths. ``contents``: from paths to digests. ``depfile``: a rule of make. ``facts``: what is
recorded of a task. ``examiner``: the comparison of the two. ``executor``: what a run does with it. ``problems``: what
is wrong with declarations; ``plainly``: that plainly nothing is. A run of tasks that declare nothing does not import
this package.
"""
