"""Engines that ask who somebody is: what each needs in the lab, as values. Pure."""
