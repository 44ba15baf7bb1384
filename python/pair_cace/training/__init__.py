"""Training: from a data file and a short YAML file to a checkpoint and a report.

Reading order is the order of a run: ``config``, ``reference_energies``, ``dataset``, ``batching``,
``initialization``, ``loss``, ``schedule``, ``trainer``, ``run_folder``, ``report``.
"""
