"""The nodes of a parallel run that are other machines: each has a host, which starts worker processes there.

A distributed engine places the hosts; they call the dispatcher back, and everything else is between these two.
"""
