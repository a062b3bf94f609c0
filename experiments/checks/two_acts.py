"""The figure of the two acts: what is won on a smooth sea, what on a sea that moves.

    python experiments/checks/two_acts.py

draws book/_static/two_acts.png from the records of the exams (test) and of one moving day.
"""

import cmocean
import matplotlib.pyplot as plt
import numpy as np

from sst_tutorial.results import REPOSITORY, read_results

FIGURE = REPOSITORY / "book" / "_static" / "two_acts.png"
ACTS = {  # exam, group, question, title
    "left": ("smooth", "cloudy", "month", "Act I: a smooth, slow sea\n(monthly mean)"),
    "right": ("moving", "8 km", "day", "Act II: a sea that moves\n(map of one day)"),
}
METHODS = {"gaussian": "Gaussian", "OI, measured": "OI", "ocean-1": "ocean-1", "ocean-2": "ocean-2"}
MAPS = {"truth": "the truth", "seen": "seen", "OI": "OI", "ocean-2": "ocean-2"}


def bars(ax, exam, group, question, title):
    rows = read_results("exams")["exams"][exam]["groups"][group][question]["methods"]
    names = [name for name in METHODS if name in rows]
    errors = np.array([rows[name]["rmse"] for name in names])
    low, high = np.array([rows[name]["interval"] for name in names]).T
    network = [name.startswith("ocean") for name in names]
    colours = ["#0072b2" if n else "#999999" for n in network]
    places = np.arange(len(names))[::-1]
    ax.barh(places, errors, color=colours, xerr=[errors - low, high - errors],
            error_kw={"ecolor": "#333333", "lw": 1.2})
    for place, error in zip(places, errors, strict=True):
        ax.text(0.02 * errors.max(), place, f"{error:.3f} K", color="white", va="center",
                fontweight="bold")
    ax.set_yticks(places, [METHODS[name] for name in names])
    ax.set_title(title, fontsize=10.5)
    ax.set_xlabel("RMSE (K)")
    ax.spines[["top", "right"]].set_visible(False)


def main():
    plt.rcParams.update({"font.size": 10.5, "figure.constrained_layout.use": True})
    fig = plt.figure(figsize=(5.6, 4.9), dpi=180)
    grid = fig.add_gridspec(2, 4, height_ratios=[1.15, 1])
    bars(fig.add_subplot(grid[0, :2]), *ACTS["left"])
    bars(fig.add_subplot(grid[0, 2:]), *ACTS["right"])
    day = read_results("one_moving_day")
    for column, (name, title) in enumerate(MAPS.items()):
        ax = fig.add_subplot(grid[1, column])
        image = ax.imshow(np.array(day["maps"][name], float), vmin=-3, vmax=3, origin="lower",
                          cmap=cmocean.cm.balance)
        error = day["rmse_K"].get(name)
        ax.set_title(title + (f"\n{error:.2f} K" if error else "\n"), fontsize=9.5)
        ax.set(xticks=[], yticks=[])
    fig.colorbar(image, ax=fig.axes[2:], label="K", location="right", aspect=14)
    fig.savefig(FIGURE, facecolor="white")


if __name__ == "__main__":
    main()
