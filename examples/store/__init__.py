"""The simulated e-commerce store: `write(simulate(StoreConfig(queries=450, seed=0)), folder)`."""

from .config import StoreConfig
from .simulate import Store, simulate, write

__all__ = ["Store", "StoreConfig", "simulate", "write"]
