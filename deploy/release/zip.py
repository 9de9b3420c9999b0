#!/usr/bin/env python3
"""zip.py ARCHIVE ROOT FOLDER writes FOLDER below ROOT, the same bytes each time."""
import os
import sys
import time
import zipfile

archive, root, folder = sys.argv[1:]
when = time.gmtime(int(os.environ["SOURCE_DATE_EPOCH"]))[:6]
with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as z:
    for path in sorted(os.path.join(d, f) for d, _, files in os.walk(os.path.join(root, folder)) for f in files):
        info = zipfile.ZipInfo(os.path.relpath(path, root), when)
        info.compress_type = zipfile.ZIP_DEFLATED
        info.external_attr = (0o755 if path.endswith(".exe") else 0o644) << 16
        with open(path, "rb") as f:
            z.writestr(info, f.read())
