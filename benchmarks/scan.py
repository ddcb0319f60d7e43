"""What a web scanner finds on the running page

    pip install wapiti3     # in an environment of its own: it brings half a hundred packages
    python benchmarks/run.py scan --wapiti PATH/TO/bin/wapiti --csv FILE
    python benchmarks/run.py scan --wapiti PATH/TO/bin/wapiti --clip reel.mkv   # a short one

A crawler sees four files: everything else is asked by the page's script. So the scanner is also
given a description of all addresses, with a visitor and a photograph (or a clip) that exist, and
attacks each of their parameters. Findings are printed; any but informational ones (`additionals`)
end it with status 1."""
import json, shutil, subprocess, sys
from pathlib import Path
from benchmarks.support.page_server import PHOTO, Served, Visitor
from benchmarks.support.results import Figure, Missing

# Not run: what asks for databases from elsewhere, or looks for other programs than this one
LEFT_OUT = 'nikto','wapp','htp','cms','wp_enum','takeover','network_device','brute_login_form', \
    'log4shell','spring4shell','https_redirect','ssl','timesql'

MILD = 'methods,csp,http_headers' # of --quick

def openapi(url, visitor, photo, token, clip):
    "A description of the page's addresses with values that exist; `clip`: is `photo` one of film?"
    text = lambda value: dict(type='string', default=value, example=value)
    def parameter(name, value, where):
        return {'name':name, 'in':where, 'required':True, 'schema':text(value), 'example':value}
    def question(**arguments):
        return dict(post=dict(requestBody=dict(required=True, content={'application/json': dict(
            schema=dict(type='object', properties={k: _schema(v) for k,v in arguments.items()}),
            example=arguments)}), responses={'200':dict(description='events')}))
    def plain(method, *parameters):
        return {method: dict(parameters=list(parameters), responses={'200':dict(description='')})}
    color = dict(photo=photo, seed=0, strokes=[], saturation=1)
    asked = dict(read=dict(photo=photo), color=color, sample=color,
                 uncertainty=dict(photo=photo, strokes=[]))
    if clip:
        asked = dict(shots=dict(photo=photo), thumbnail=dict(photo=photo, shot=0),
                     frame=dict(photo=photo, shot=0), film=dict(photo=photo, strokes=[]))
    who = parameter('visitor', visitor, 'path')
    paths = {
        '/': plain('get'), '/visits': plain('post'), '/visits/{visitor}': plain('post', who),
        '/photos/{visitor}': plain('post', who, parameter('name', 'a.jpg', 'query')),
        '/files/{photo}/{token}': plain('get', parameter('photo', photo, 'path'),
                                        parameter('token', token, 'path')),
        **{f'/questions/{k}': question(**o) for k,o in asked.items()}}
    return dict(openapi='3.0.0', info=dict(title='page', version='1'), servers=[dict(url=url)],
                paths=paths)

def _schema(value):
    kinds = {str:'string', int:'integer', list:'array', float:'number'}
    out = dict(type=kinds[type(value)], example=value, default=value)
    return dict(out, items=dict(type='object')) if value==[] else out

def bring(v, clip):
    "(name of the photograph or clip, address of its colored file)"
    if clip is None:
        photo = v.upload(PHOTO.read_bytes())
        return photo,v.question('save', photo=photo, seed=0, strokes=[], saturation=1)['url']
    photo = v.upload(clip.read_bytes(), 'reel.mkv')
    v.question('shots', photo=photo)
    return photo,v.question('film', photo=photo, strokes=[])['files'][0]['url']

def run(wapiti, folder, server, seconds, clip, modules=None):
    "The report of the scanner"
    v = Visitor(server.url)
    photo,saved = bring(v, clip)
    described,report = folder/'openapi.json',folder/'report.json'
    described.write_text(json.dumps(openapi(server.url, v.name, photo, saved.split('/')[-1],
                                            clip is not None)))
    modules = modules or 'all,'+','.join(f'-{o}' for o in LEFT_OUT)
    command = [wapiti, '-u', server.url, '--scope', 'domain', '--swagger', described, '-m', modules,
               '-f', 'json', '-o', report, '--flush-session', '--no-bugreport', '--level', '2',
               '--max-attack-time', seconds, '--store-session', folder/'session',
               '--store-config', folder/'config']
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    if not report.exists():
        raise RuntimeError(done.stdout[-3000:]+done.stderr[-3000:])
    return json.loads(report.read_text())

def add_options(p):
    p.add_argument('--wapiti', default='wapiti', help='the scanner')
    p.add_argument('--clip', type=Path, help='scan with this film instead of a photograph')
    p.add_argument('--seconds', type=int, help='for each kind of attack, at most (default: 120)')

def measure(args):
    if not (wapiti := shutil.which(args.wapiti)):
        raise Missing(f"there is no scanner {args.wapiti}: pip install wapiti3 in an environment "
                      "of its own, and --wapiti PATH/TO/bin/wapiti")
    seconds = args.seconds or (1 if args.quick else 120)
    server = Served(args.tmp)
    try: report = run(wapiti, args.tmp, server, seconds, args.clip, MILD if args.quick else None)
    finally: server.end()
    logged = (args.tmp/'server.log').read_text().splitlines()[1:]
    about,bad = report['infos'],0
    def figure(metric, value):
        return Figure(f"scan: {about.get('version')}", args.clip.name if args.clip else PHOTO.name,
                      about.get('crawled_pages_nbr') or 0, metric, value)
    for level in 'vulnerabilities','anomalies','additionals':
        found = [(k, o) for k,some in report[level].items() for o in some]
        for k,o in found:
            print(f"{k}: {o['method']} {o['path']} {o.get('parameter')}: {o['info'][:200]}",
                  file=sys.stderr)
        yield figure(level, len(found))
        bad += len(found)*(level!='additionals')
    yield figure('lines_logged', len(logged))
    return int(bad>0)
