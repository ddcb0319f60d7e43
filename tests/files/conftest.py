import sys
from pathlib import Path

for part in 'iiif','film','training': # their helpers
    sys.path.append(str(Path(__file__).resolve().parents[1]/part))
