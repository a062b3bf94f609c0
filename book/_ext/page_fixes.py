"""Two repairs: sphinx_thebe adds its inline script twice, and chapters had other names once."""

from pathlib import Path

# Until version 0.2.0 a chapter's file began with its number. Links to those pages live on.
OLD_CHAPTERS = [
    "01_month_of_ocean",
    "02_whole_machine",
    "03_tensors",
    "04_baselines",
    "05_video_to_tokens",
    "06_telling_time",
    "07_which_days",
    "08_telling_place",
    "09_looking_across",
    "10_back_to_pixels",
    "11_all_together",
    "12_loss_and_loop",
    "13_judging",
    "14_gpu_run",
    "15_opening_the_box",
]
REDIRECT = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Moved: {words}</title>
<meta http-equiv="refresh" content="0; url={new}.html">
<link rel="canonical" href="{new}.html">
</head>
<body>
<p>This chapter has moved: <a href="{new}.html">{words}</a>.</p>
</body>
</html>
"""


def drop_repeated_scripts(app, pagename, templatename, context, doctree):
    """Keep the first of equal inline scripts: sphinx_thebe adds its constants twice."""
    seen = set()
    kept = []
    for script in context.get("script_files", []):
        body = getattr(script, "attributes", {}).get("body")
        if body is None or body not in seen:
            kept.append(script)
        seen.add(body)
    context["script_files"] = kept


def new_name(old):
    """Return the name of a chapter without its number."""
    return old.partition("_")[2]


def write_redirects(site):
    """Write a page under each old name in the built `site` that leads to the new one."""
    folder = Path(site) / "book" / "chapters"
    folder.mkdir(parents=True, exist_ok=True)
    for old in OLD_CHAPTERS:
        new = new_name(old)
        page = REDIRECT.format(new=new, words=new.replace("_", " "))
        (folder / f"{old}.html").write_text(page, encoding="utf-8")


def redirect_old_chapters(app, exception):
    if exception is None and app.builder.name == "html":
        write_redirects(app.outdir)


def setup(app):
    app.connect("html-page-context", drop_repeated_scripts, priority=900)
    app.connect("build-finished", redirect_old_chapters)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
