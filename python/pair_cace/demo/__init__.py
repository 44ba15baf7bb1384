"""``cace demo``: the whole path on data that it makes itself, in a few minutes.

``lammps`` runs the true potential, an embedded-atom model of Ni and Al that LAMMPS ships, and the
trained one; ``demo`` is the course of events; ``picture`` draws what came out.
"""
