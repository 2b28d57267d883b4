"""The documentation as a site: `make docs`. Pages are Markdown; a link that leads nowhere fails the build."""

project = "Ballast"
copyright = "the authors of Ballast, Apache-2.0"
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
myst_heading_anchors = 3  # links to headings, as code hosts make them
html_theme = "furo"
html_title = "Ballast"
html_show_sphinx = False
suppress_warnings = ["misc.highlighting_failure"]  # policies of Vault are HCL, which the lexer knows only in part
