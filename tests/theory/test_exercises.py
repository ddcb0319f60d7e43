"Every chapter of the theory ends with exercises whose solutions are folded, and were run."
import json, re
from pathlib import Path
import pytest

nbs = Path(__file__).resolve().parents[2]/'nbs'
pages = [*sorted((nbs/'theory').glob('*.ipynb')), nbs/'inference/calibration.ipynb']
IN_WORDS = {'few_steps', 'guidance_toy'} # solutions without code
EXERCISE = re.compile(r'^\*\*(\d)\.\*\* .+?(?=^\*\*\d\.\*\* |\Z)', re.M|re.S)
# Blank lines make Markdown of what is folded
FOLDED = re.compile(r'^<details><summary>Solution</summary>\n\n(.+?)\n\n</details>$', re.M|re.S)

def cells(page, kind):
    found = json.loads(page.read_text('utf-8'))['cells']
    return [''.join(c['source']) for c in found if c['cell_type']==kind]

def exercises(text):
    "(number, what stands below it) of each exercise on a page"
    _,heading,rest = text.partition('\n## Exercises\n')
    return [(int(o[1]), o[0]) for o in EXERCISE.finditer(rest)] if heading else []

@pytest.mark.parametrize('page', pages, ids=lambda o: o.stem)
def test_each_exercise_has_a_folded_solution(page):
    found = exercises('\n' + '\n\n'.join(cells(page, 'markdown')))
    assert 3<=len(found)<=5
    assert [number for number,_ in found]==[*range(1, len(found)+1)]
    assert all(len(FOLDED.findall(o))==1 for _,o in found)

@pytest.mark.parametrize('page', [o for o in pages if o.stem not in IN_WORDS],
                         ids=lambda o: o.stem)
def test_the_code_of_solutions_is_run_with_the_page(page):
    text = '\n'.join(cells(page, 'markdown'))
    assert all('```python\n' in o for o in FOLDED.findall(text))
    *_,last = [c for c in cells(page, 'code') if 'exec(code)' in c]
    assert f"'{page.name}'" in last and last.startswith('#| hide\n')

def test_what_is_missing_is_seen():
    one = '**{}.** Why?\n\n<details><summary>Solution</summary>\n\nSo.\n\n</details>'
    good = '\n## Exercises\n\n' + '\n\n'.join(map(one.format, (1, 2)))
    assert [n for n,_ in exercises(good)]==[1, 2]
    assert len(FOLDED.findall(good))==2
    assert len(FOLDED.findall(good.replace('</summary>\n\nSo', '</summary>\nSo', 1)))==1
    assert not exercises(good.replace('## Exercises', '## Tasks'))
