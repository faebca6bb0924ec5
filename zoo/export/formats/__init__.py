"""The writers: one file for each format, which takes an `ExportRequest`."""
