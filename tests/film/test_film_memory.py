"Memory does not grow with the length of a film"
import subprocess, sys
import pytest
from film_files import picture, write_film

RUN = """
import resource, sys, torch
from colorized.film.film import colorize_film
from colorized.inference.colorizer import Colorizer
torch.set_num_threads(1)
c = Colorizer.from_pretrained(sys.argv[1], 'cpu')
colorize_film(sys.argv[2], None, c, False, working_size=64, steps=1)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""

@pytest.mark.slow
@pytest.mark.parametrize('moving', [True, False])
def test_ten_times_the_length_takes_the_same_memory(tmp_path, model, moving):
    "One shot of 200 and one of 2,000 frames of 320×240, or a still, peaks of two processes in MiB"
    peaks = []
    for n in (200, 2000):
        frames = (picture(moving*i%200, (320, 240)) for i in range(n))
        path = write_film(tmp_path/f'{n}.mkv', frames, size=(320, 240))
        p = subprocess.run([sys.executable, '-c', RUN, model, path], capture_output=True,
                           text=True, timeout=900)
        assert p.returncode==0, p.stderr
        peaks.append(int(p.stdout)/1024)
    print(peaks)
    assert peaks[1]<peaks[0]+40, peaks
