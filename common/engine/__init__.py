"""The engine: functions that give the same numbers as the plain expressions of the pages above,
sooner.

Each docstring begins with that expression, or the short loop, and goes on with what makes the
function faster and by how much (``tests/benchmarks/engine.py`` measures it). tests/common/engine
holds every function to its expression. Nobody has to read this floor to learn how a layer works.
"""
