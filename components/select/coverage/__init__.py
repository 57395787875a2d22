"""Choosing rows of a pool so that they cover it; `methods.COVERAGE` names the ways."""
