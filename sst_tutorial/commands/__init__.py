"""The commands of `sst-tutorial`, a file for each; `sst_tutorial/cli.py` joins them."""
