"Measurements that a reader or a release runs: `python benchmarks/run.py --list`"
