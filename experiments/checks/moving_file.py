"""A gappy file of a sea that moves, and its truth: what project 2 of the book starts from.

    python experiments/checks/moving_file.py gappy.nc complete.nc [--speed 0.2] [--seed 0]

92 days of 48 x 48 cells off Tasmania, four fifths under clouds, noise of 0.3 K, as
`sst-tutorial simulate` writes them for the sea that does not move.
"""

import argparse

from sst_tutorial.moving_sea import moving_ocean
from sst_tutorial.simulate import observe, simulate_clouds

DAYS, SHAPE, COVER, NOISE = 92, (48, 48), 0.8, 0.3  # NOISE in K


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("gappy", metavar="GAPPY.nc")
    parser.add_argument("complete", metavar="COMPLETE.nc")
    parser.add_argument("--speed", type=float, default=0.2, help="of the water, m/s (0.2)")
    parser.add_argument("--seed", type=int, default=0, help="same seed, same sea (0)")
    a = parser.parse_args()
    sea = {"start": "2001-06-01", "days": DAYS, "shape": SHAPE, "seed": a.seed, "speed": a.speed}
    truth = moving_ocean(**sea)
    clouds = simulate_clouds(truth, COVER, a.seed)
    observe(truth, clouds, NOISE, a.seed).to_netcdf(a.gappy)
    truth.to_netcdf(a.complete)
    print(f"{a.gappy}: {DAYS} days, water of {a.speed} m/s, gappy; {a.complete}: the truth")


if __name__ == "__main__":
    main()
