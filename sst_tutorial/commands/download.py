"""`sst-tutorial download`: daily maps of NOAA."""

from sst_tutorial.commands.options import add_command, add_region

DOWNLOAD = """\
examples:
  sst-tutorial download 2016-02-01 2016-02-29 --region -45 -37 147 155 --to oisst
  sst-tutorial download 2016-02 2016-04 --to oisst          whole globe, 1.6 MB a day
  sst-tutorial download 2016 2016 --source /data/mirror     a folder in NOAA's layout

The same command again resumes. Then: sst-tutorial reconstruct oisst monthly.nc"""


def add(commands) -> None:
    p = add_command(
        commands, "download", _download, "fetch NOAA OISST daily maps, free and anonymous", DOWNLOAD
    )
    p.add_argument("start", metavar="START", help="first day (or month, or year)")
    p.add_argument("end", metavar="END", help="last day, included (or month, or year)")
    add_region(p)
    p.add_argument("--to", default="oisst", metavar="FOLDER", help="where to (%(default)s)")
    p.add_argument("--source", metavar="URL|FOLDER", help="another copy of NOAA's tree")


def _download(a) -> int:
    from sst_tutorial.download import NOAA, download_oisst

    region = None
    if a.region:
        region = {"lat": tuple(a.region[:2]), "lon": tuple(a.region[2:])}
    got = download_oisst(a.start, a.end, region, a.to, a.source or NOAA)
    print(f"{a.to}: {len(got.files)} files, {len(got.missing)} days missing upstream")
    if not got.files:
        raise ValueError(f"no day from {a.start} to {a.end} exists upstream; data begin 1981-09-01")
    return 0
