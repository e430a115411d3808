"""Carries out a plan under the lab's lock, writes down what it does, and looks again before it says done."""
