"""The rows behind each page: one module a page, asked of the published database through `dashboard.queries`."""
