"""What runs where elements are put in order: shuffles, batches, counts. They move handles, never payload.

The same operators run in process and in the broker; what differs is where their elements come from.
"""
