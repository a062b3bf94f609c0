"""One repair to every page: sphinx_thebe adds its inline script twice."""


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


def setup(app):
    app.connect("html-page-context", drop_repeated_scripts, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
