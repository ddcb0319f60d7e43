"""The results of the experiments as tables and figures.

Each page has its raw results beside it, one schema for all:
`experiment,set,n,metric,value,low,high,weights,commit`. An experiment is `study: setting`,
`low` and `high` are a 95 % interval, `weights` the first digits of their SHA-256 where they were
ever packaged, and `commit` is where the figure first stood."""
import matplotlib.pyplot as plt, pandas as pd
from IPython.display import Markdown
from matplotlib_inline.backend_inline import set_matplotlib_formats

set_matplotlib_formats('png') # twice the resolution would weigh four times as much
plt.rcParams['figure.dpi'] = 110

# How a measure is called, its decimals, and whether it is a share of so many pairs or faces
METRICS = {
    'kid_x1000': ('KID × 1000 ↓', 2), 'two_sample': ('two-sample accuracy ↓', 3),
    'top1': ('top-1 ↑', 3), 'top1_over_gray': ('top-1 over gray ↑', 3),
    'colorfulness': ('colorfulness', 1), 'delta_e2000': ('ΔE2000 ↓', 1),
    'unexplained': ('unexplained chroma ↓', 3), 'hint_gain': ('gain in ΔE2000 ↑', 2),
    'chroma_distance': ('distance to the true chroma ↓', 1), 'right_hue': ('right hue ↑', 3),
    'slide_distance': ('distance on slides ↓', 2),
    'first_guess_slide_distance': ('distance of the first guess ↓', 2),
    'first_guess_distance': ('distance of the first guess ↓', 2),
    'moved': ('share of the photograph that moves', '%'),
    'worse': ('photographs that get worse ↓', '%'),
    'faces_right': ('faces: right hue ↑', '%'), 'faces_wrong': ('wrong hue ↓', '%'),
    'faces_gray': ('gray ↓', '%'), 'a_star_spread': ('spread of a\\*', 1),
    'true_share': ('true share of the color', 2), 'variation': ('variation of the chroma', 3)}
SHARES = {'preferred': 'preferred ↑', 'kept': 'one would keep ↑',
          'kept_borderline': 'of these borderline', 'taken_for_true': 'taken for the true one ↑',
          'skin_more_natural': 'skin more natural', 'skin_less_natural': 'skin less natural'}

NO_BREAK = '\N{NO-BREAK SPACE}'

def read(name):
    "The results of a page, with study and setting of each"
    rows = pd.read_csv(f'{name}.csv', dtype=dict(weights=str)).fillna(dict(weights='–'))
    rows[['study','setting']] = rows.experiment.str.split(': ', n=1, expand=True)
    return rows

def title(metric):
    "What a column is called"
    if metric in SHARES: return SHARES[metric]
    name = METRICS[metric.removesuffix('_change')][0]
    return f'change of {name}' if metric.endswith('_change') else name

def cell(o):
    "A value and its interval, as text"
    if o.metric in SHARES:
        interval = f'[{o.low*100:.0f},{NO_BREAK}{o.high*100:.0f}]'
        return f'{round(o.value*o.n)} of {o.n} ({o.value*100:.0f}{NO_BREAK}% {interval})'.replace(
            ' of ', f'{NO_BREAK}of{NO_BREAK}')
    digits = METRICS[o.metric.removesuffix('_change')][1]
    if digits=='%': return f'{o.value*100:.1f}{NO_BREAK}%'
    is_change = o.metric.endswith('_change')
    sign = '+'*(is_change or o.metric=='top1_over_gray')
    digits += o.metric in ('delta_e2000_change','chroma_distance_change')
    digits -= o.metric=='kid_x1000' and o.value>=10
    parts = [f'{v:{sign}.{digits}f}' for v in (o.value, o.low, o.high) if v==v]
    interval = f' [{parts[1]},{NO_BREAK}{parts[2]}]' if parts[1:] else ''
    return (parts[0]+interval).replace('-', '−')

def code(weights):
    "Weights by the first digits of their hash; a dash if they are not known"
    return weights if weights=='–' else f'`{weights}`'

def markdown(head, rows, note=''):
    "A table of texts, below a note on what all of it has in common"
    lines = [head, ['---']*len(head), *rows]
    text = '\n'.join(f"| {' | '.join(o)} |" for o in lines)
    return Markdown(f'*{note}*\n\n{text}' if note else text)

def pairs_of(found, columns):
    "Sets and metrics in the order of the columns, a metric alone for all of its sets"
    there = list(dict.fromkeys(zip(found.set, found.metric)))
    for c in columns:
        if isinstance(c, tuple): yield c
        else: yield from (o for o in there if o[1]==c)

def place(o):
    "Where a column was measured: its set, and n if that is the same in all rows"
    name,n = o.set.iloc[0],o.n.iloc[0]
    is_told = f'{n:,}' in name or o.metric.iloc[0] in SHARES or o.n.nunique()>1
    return name if is_told else f'{name} (n={n:,})'

def entry(column, setting, weights):
    "What one cell says, with its n where the cells of a column differ in it"
    found = column[(column.setting==setting) & (column.weights==weights)]
    if not len(found): return ''
    o = next(found.itertuples())
    return cell(o) + f' (n={o.n:,})'*(column.n.nunique()>1 and o.metric not in SHARES)

def alike(texts):
    "The one text that all columns share, if there are several columns"
    return texts[0] if len(texts)>1 and len(set(texts))==1 else ''

def table(
    rows,          # Of one page, from `read`
    study,         # Name of the study
    columns,       # Metrics, or pairs of a set and a metric
    settings=None, # Which of its settings, in this order; a dict gives them other names
    first='',      # Head of the first column
):
    "Settings below each other; weights get a column where they differ"
    found = rows[rows.study==study]
    settings = settings or list(found.setting.unique())
    names = settings if isinstance(settings, dict) else dict(zip(settings, settings))
    found = found[found.setting.isin(list(names))]
    values = {p: found[(found.set==p[0]) & (found.metric==p[1])] for p in pairs_of(found, columns)}
    found = found[found.index.isin([i for o in values.values() for i in o.index])]
    titles,places = [title(m) for _,m in values],[place(o) for o in values.values()]
    where = alike(places)
    what = '' if where else alike(titles)
    heads = [', '.join([t]*(not what) + [p]*(not where)) for t,p in zip(titles, places)]
    weights = list(found.weights.unique())
    several = len(weights)>1
    lines = []
    for (setting,w),_ in found.groupby(['setting','weights'], sort=False):
        cells = [entry(o, setting, w) for o in values.values()]
        lines.append((list(names).index(setting), [names[setting], *[code(w)]*several, *cells]))
    note = [what, where, f'weights {code(weights[0])}'*(not several and weights[0]!='–')]
    return markdown([first, *['weights']*several, *heads],
                    [o for _,o in sorted(lines, key=lambda o: o[0])], '; '.join(filter(None, note)))

def forest(
    found,  # Rows with intervals, drawn from top to bottom
    labels, # A name for each
    xlabel,
):
    "Values with their intervals below each other, and a line at zero"
    ax = plt.subplots(figsize=(7, 0.6+0.24*len(found)), layout='constrained')[1]
    y = range(len(found))
    bars = [found.value-found.low, found.high-found.value]
    ax.errorbar(found.value, y, xerr=bars, fmt='o', ms=4, lw=1.5, capsize=2)
    ax.axvline(0, color='gray', lw=1)
    ax.set_yticks(y, list(labels), fontsize=8)
    ax.set_ylim(len(found)-0.5, -0.5)
    ax.set_xlabel(xlabel)
