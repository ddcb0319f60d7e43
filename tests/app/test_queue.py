"The queue under pressure: many at once, people who leave, an end in the middle"
import asyncio, random, threading, time
import pytest
from colorized.app.queue import Turns, WorkQueue

async def hear(queue, task):
    return [event async for event in queue.ask(task) if event]

@pytest.mark.parametrize('limit', [1, 2])
def test_never_more_at_once_and_in_order(limit):
    busy,most,order,lock = 0,0,[],threading.Lock()
    def task(i):
        def work(progress):
            nonlocal busy, most
            with lock:
                busy += 1
                most = max(most, busy)
                order.append(i)
            time.sleep(0.005)
            with lock:
                busy -= 1
            return i
        return work
    async def run():
        queue = WorkQueue(limit)
        return await asyncio.gather(*[hear(queue, task(i)) for i in range(20)])
    heard = asyncio.run(run())
    assert most==limit and [o[-1]['answer'] for o in heard]==list(range(20))
    if limit==1:
        assert order==list(range(20))
    for i,events in enumerate(heard):
        places = [o['place'] for o in events if 'place' in o]
        # one of two that start together may be told before the other has left the line
        assert places[0]==i and places[-1]<limit and places==sorted(places, reverse=True)

def test_those_who_leave_are_not_served():
    served,left = [],threading.Event()
    def task(i):
        def work(progress):
            assert left.wait(60) # the first one keeps the others waiting until some have left
            progress(0.5)
            served.append(i)
        return work
    async def leaves(queue, i):
        events = queue.ask(task(i))
        await anext(events)
        await events.aclose()
    async def run():
        queue,rng = WorkQueue(),random.Random(0)
        stay = [i==0 or rng.random()<0.5 for i in range(40)]
        ways = [hear(queue, task(i)) if o else leaves(queue, i) for i,o in enumerate(stay)]
        visitors = [asyncio.create_task(o) for o in ways]
        await asyncio.gather(*[o for o,stays in zip(visitors, stay) if not stays])
        left.set()
        await asyncio.gather(*visitors)
        assert not queue._waiting and not queue._tickets
        return [i for i,o in enumerate(stay) if o]
    stayed = asyncio.run(run())
    assert served==stayed and 10<len(stayed)<30

def test_who_leaves_while_being_served_ends_the_work():
    begun,gone,reached = threading.Event(),threading.Event(),[]
    def work(progress):
        begun.set()
        assert gone.wait(60)
        progress(0.5)
        reached.append('its end')
    async def run():
        queue = WorkQueue()
        events = queue.ask(work)
        await anext(events)
        assert await asyncio.to_thread(begun.wait, 60)
        await events.aclose()
        gone.set()
        await asyncio.to_thread(queue.join)
    asyncio.run(run())
    assert not reached

def test_progress_is_told_in_hundredths():
    def work(progress):
        for i in range(100_001):
            progress(i/100_000)
    events = asyncio.run(hear(WorkQueue(), work))
    done = [o['progress'] for o in events if 'progress' in o]
    assert 99<=len(done)<=101 and done[0]==0 and done[-1]==1 and done==sorted(done)

def test_an_error_passes_and_the_next_is_served():
    def fail(progress):
        raise MemoryError
    async def run():
        queue = WorkQueue()
        bad = asyncio.create_task(hear(queue, fail))
        good = asyncio.create_task(hear(queue, lambda progress: 7))
        with pytest.raises(MemoryError):
            await bad
        return await good
    assert asyncio.run(run())[-1]==dict(answer=7)

def test_nobody_complains_of_an_error_that_nobody_hears(caplog, capsys):
    begun = threading.Event()
    def fail(progress):
        begun.set()
        time.sleep(0.05)
        raise OSError("too late")
    async def run():
        queue = WorkQueue()
        events = queue.ask(fail)
        await anext(events)
        assert await asyncio.to_thread(begun.wait, 60)
        await events.aclose()
        await asyncio.to_thread(queue.join)
    asyncio.run(run())
    assert not caplog.records and not capsys.readouterr().err

def test_close_ends_what_waits_and_what_is_done():
    def endless(progress):
        while True:
            time.sleep(0.005)
            progress(0.5)
    async def run():
        queue = WorkQueue()
        heard = [asyncio.create_task(hear(queue, endless)) for _ in range(3)]
        while len(queue._tickets)<3:
            await asyncio.sleep(0.005)
        queue.close()
        queue.join()
        return await asyncio.gather(*heard)
    assert not [o for events in asyncio.run(run()) for o in events if 'answer' in o]

def test_more_facts_are_told_when_they_change_and_not_otherwise():
    def work(progress):
        for i in range(1000):
            progress(i/1e6, doing='shot 1')
        progress(1e-3, doing='shot 2')
    async def run(): return await hear(WorkQueue(), work)
    told = [o for o in asyncio.run(run()) if 'doing' in o]
    assert told==[dict(progress=0., doing='shot 1'), dict(progress=1e-3, doing='shot 2')]

# ---- turns ----
def test_turns_go_in_order_and_one_at_a_time():
    turns,order,inside = Turns(),[],[]
    def want(i):
        with turns.turn():
            inside.append(i)
            assert len(inside)==1
            order.append(i)
            time.sleep(0.002)
            inside.pop()
    with turns.turn(): # all others have to wait
        threads = [threading.Thread(target=want, args=(i,)) for i in range(20)]
        for i,o in enumerate(threads):
            o.start()
            while len(turns._line)<i+2: # it has asked
                time.sleep(0.001)
    for o in threads:
        o.join()
    assert order==list(range(20)) and not turns._line

def test_an_error_gives_the_turn_back():
    turns = Turns()
    with pytest.raises(KeyError):
        with turns.turn():
            raise KeyError
    with turns.turn():
        pass

def test_after_the_end_nobody_gets_a_turn():
    turns,got = Turns(),[]
    def want():
        try:
            with turns.turn():
                got.append('a turn')
        except BaseException as e:
            got.append(type(e).__name__)
    with turns.turn():
        waiting = threading.Thread(target=want)
        waiting.start()
        while len(turns._line)<2:
            time.sleep(0.001)
        turns.close()
    waiting.join()
    want()
    assert got==['_Abandoned']*2
