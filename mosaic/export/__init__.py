"""Whole rooms out of the house and into it.

`jobs` describes the work; `worker` does it in a process of its own, with
`archive` and `intake`; `moving` reads what goes into a job from the store and
writes what came out of one.
"""
