# SPDX-License-Identifier: MIT
"""gdb commands for programs on tidemalloc, running or as a core file: `help tide`.

Reads the library's structures (src/types.h) by its debug information, calls nothing in the program
and writes nothing to it. What is not in the core file, or does not fit together, is said.

Constants that debug information does not have are below; tests/integration/gdb.sh would notice if
they were others.
"""

import gdb

KEY_BITS = 0xFFFF << 48
NOBODY_KEY = 0xFFFF << 48
SAMPLED_KEY = 0xFFFE << 48
SLICE_SHIFT = 15
SLICE_RECORD_SHIFT = 6
FRAME_OFFSET_BITS = 48
SPAN_SMALL, SPAN_LARGE, SPAN_SAMPLED = 1, 2, 3
SPAN_OWNED, SPAN_FULL, SPAN_POOLED, SPAN_COLD = range(4)
HEAP_STATES = {1: "live", 2: "orphan", 3: "empty", 4: "lost in a fork"}
BLOCK_MARKS_MAX = 7
CHAIN_MAX = 1 << 20  # blocks of a list that is not damaged
WORD = (1 << 64) - 1


class Lacking(Exception):
    """What the command cannot do, and why."""


class Library:
    """The variables of the one tidemalloc in the process, by name."""

    def __init__(self):
        self.objfile = None
        for objfile in gdb.objfiles():
            symbol = objfile.lookup_global_symbol("heap_empty")
            if symbol is not None and objfile.lookup_global_symbol("size_classes") is not None:
                self.objfile = objfile
        if self.objfile is None:
            raise Lacking(self.why_not())
        self.space = self.variable("space")
        self.guard = int(self.variable("heap_guards")["word"])
        self.list_ends = self.variable("list_ends")
        self.classes = self.variable("size_classes")

    @staticmethod
    def why_not():
        """There is no tidemalloc, or nothing is known of its variables."""
        for objfile in gdb.objfiles():
            if "libtidemalloc" in (objfile.filename or ""):
                return (
                    f"no debug information of {objfile.filename}: build it with -g and do not strip"
                    " it, or let `symbol-file` or `debug-file-directory` lead to what was stripped"
                )
        try:
            gdb.parse_and_eval("&tide_malloc")
        except gdb.error:
            return "the program is not on tidemalloc, or has not been started"
        return "no debug information of tidemalloc, which is linked into the program: build with -g"

    def variable(self, name, file=None):
        """A global variable, or the static one of the file."""
        symbol = None
        if file is None:
            symbol = self.objfile.lookup_global_symbol(name)
        else:
            for found in gdb.lookup_static_symbols(name):
                if found.symtab.filename.endswith(file):
                    symbol = found
        if symbol is None:
            raise Lacking(f"debug information of tidemalloc lacks {name}: of another version?")
        return symbol.value()

    def heaps(self):
        """Every heap there ever was."""
        heap = self.variable("all_heaps", "heap/thread.c")
        while int(heap) != 0:
            yield heap.dereference()
            heap = heap["next"]

    def thread_names(self):
        """Which thread has the heap of a key; {} where gdb cannot tell."""
        names = {}
        selected = gdb.selected_thread()
        for thread in gdb.selected_inferior().threads():
            try:
                thread.switch()
                key = int(self.variable("heap_front")["heap"]["key"])
            except gdb.error:
                continue  # no libthread_db for this, or the thread is not set up yet
            if key != 0:
                lwp = thread.ptid[1]
                names[key] = f'thread {thread.num} "{thread.name}" (LWP {lwp})'
        if selected is not None and selected.is_valid():
            selected.switch()
        return names


# ---- Spans and blocks ----------------------------------------------------------------------------


def chain(library, block):
    """The addresses of a list of blocks."""
    block_type = library.list_ends[0]["block"].type.pointer()
    ends = range(int(library.list_ends.address), int(library.list_ends.address)
                 + library.list_ends.type.sizeof)
    at = int(block)
    for _ in range(CHAIN_MAX):
        if at == 0 or at in ends:
            return
        yield at
        try:
            at = int(gdb.Value(at).cast(block_type)["next"])
        except gdb.MemoryError:
            yield 0  # damaged
            return


def slice_of(library, address):
    """The record of the slice the address is in; None: not of tidemalloc's."""
    if (address - int(library.space["base"])) & WORD >= int(
        library.space["slice_limit"]
    ) << SLICE_SHIFT:
        return None
    at = address >> (SLICE_SHIFT - SLICE_RECORD_SHIFT) & int(library.space["slice_mask"])
    slices = library.space["slices"]
    return gdb.Value(int(slices) + at).cast(slices.type).dereference()


def state_of(span):
    """The state that the remote word tells."""
    return int(span["remote"]) >> 48


def holders(library, span, threads):
    """Where blocks of the class wait to be handed out: (what it is, the addresses)."""
    c = int(span["size_class"])
    yield "on its span's list", chain(library, span["own"])
    remote = int(span["remote"])
    if remote & 0xFFFFFFFF:
        first = int(span["start"]) + ((remote & 0xFFFFFFFF) - 1 << 4)
        yield "freed by another thread, for its span to take", chain(library, first)
    for heap in library.heaps():
        name = heap_name(library, heap, threads)
        yield f"in the bin of {name}", chain(library, heap["bins"][c]["head"])
        yield f"laid aside by {name}", chain(library, heap["classes"][c]["aside"])
        if int(heap["ring_used"]) > 0:
            for i in range(heap["ring"].type.range()[1] + 1):
                batch = heap["ring"][i]
                if int(batch["span"]) == int(span.address):
                    yield f"in the ring of {name}", chain(library, batch["head"])
    transfer = library.variable("transfers")[c]
    for i in range(int(transfer["count"])):
        yield "on its class's transfer list", chain(library, transfer["chains"][i])


def is_linked(library, address):
    """Do the block's words say that it is free?"""
    block = gdb.Value(address).cast(library.list_ends[0]["block"].type.pointer())
    strange = int(block["guard"]) - int(block["next"]) - address - library.guard & WORD
    return any(strange == (library.guard * mark & WORD) for mark in range(BLOCK_MARKS_MAX + 1))


def bit_is_set(span, index):
    """Is the block free in the bitmap of a cold span?"""
    if int(span["bitmap"]) == 0:
        return False
    return int(span["bitmap"][index // 64]) >> index % 64 & 1 == 1


def small_state(library, span, address, index, threads):
    """Live, or free and where."""
    if index >= int(span["linked"]):
        return "never handed out yet"
    if bit_is_set(span, index):
        return "free, held back by its span"
    if not is_linked(library, address):
        return "live"
    for where, blocks in holders(library, span, threads):
        if address in blocks:
            return f"free, {where}"
    return "free, but on no list: damaged, or its thread is just moving it"


def heap_name(library, heap, threads):
    """The heap, and whose it is."""
    key = int(heap["key"])
    state = HEAP_STATES.get(int(heap["state"]), "?")
    return f"heap {int(heap.address):#x}, {threads.get(key, state)}"


def owner_of(library, record, span, threads):
    """Who works on the span."""
    key = int(record["owner"]) & KEY_BITS
    if key == SAMPLED_KEY:
        return "the profile: its blocks are samples"
    if key == NOBODY_KEY:
        return {
            SPAN_POOLED: "nobody: in its class's pool",
            SPAN_COLD: "nobody: in its class's pool, cold",
            SPAN_FULL: "nobody: full",
        }.get(state_of(span), "nobody for the moment")
    for heap in library.heaps():
        if int(heap["key"]) == key:
            lent = ", lent" if state_of(span) == SPAN_FULL else ""
            return heap_name(library, heap, threads) + lent
    return f"damaged: no heap has the key {key:#x}"


def show_small(library, record, span, address, threads):
    """A block of a span of small ones."""
    start, size = int(span["start"]), int(span["block_size"])
    index = (address - start) // size
    block = start + index * size
    if index >= int(span["capacity"]):
        print(f"{address:#x}: no block: left over at the end of the span {start:#x}")
        return
    inside = "" if block == address else f", {address - block} bytes inside the block {block:#x}"
    print(f"{address:#x}: block of {size} bytes{inside}")
    state = small_state(library, span, block, index, threads)
    print(f"  state   {state}")
    print(
        f"  span    {start:#x}, size class {size}, block {index} of {int(span['capacity'])},"
        f" {int(span['linked'])} handed out so far"
    )
    print(f"  owner   {owner_of(library, record, span, threads)}")
    if int(record["owner"]) & KEY_BITS == SAMPLED_KEY and state == "live":
        show_sample(library, block)


def show_large(library, span, address, threads):
    """A block that is a span of its own."""
    start, size = int(span["start"]), int(span["bytes"])
    inside = "" if start == address else f", {address - start} bytes inside the block {start:#x}"
    print(f"{address:#x}: large block of {size} bytes{inside}")
    state = "live"
    if state_of(span) == SPAN_FULL:
        state = "free"
        for heap in library.heaps():
            for i in range(heap["large_cache"].type.range()[1] + 1):
                if int(heap["large_cache"][i]) == int(span.address):
                    state = f"free, kept for its next one by {heap_name(library, heap, threads)}"
    print(f"  state   {state}")
    slices, touched = int(span["slice_count"]), int(span["touched_slices"])
    print(
        f"  span    {slices} slices of {(1 << SLICE_SHIFT) >> 10} KiB,"
        f" {slices - touched} of them room to grow"
    )
    if state_of(span) == SPAN_POOLED:
        show_sample(library, start)


def show_block(library, address):
    """What is at an address."""
    record = slice_of(library, address)
    if record is None:
        print(f"{address:#x}: not of tidemalloc")
        return
    none = int(library.variable("span_none").address)
    span = int(record["span"])
    if span in (0, none):
        print(f"{address:#x}: memory of tidemalloc that no block was ever in")
        return
    span = record["span"].dereference()
    kind = int(span["kind"])
    threads = library.thread_names()
    if kind in (SPAN_SMALL, SPAN_SAMPLED):
        show_small(library, record, span, address, threads)
    elif kind == SPAN_LARGE:
        show_large(library, span, address, threads)
    else:
        print(f"{address:#x}: free memory, all blocks of whose span were freed")
        for heap in library.heaps():
            spare = heap["spare"]["first"]
            while int(spare) != 0:
                if int(spare) == int(span.address):
                    print(f"  kept    for its next span by {heap_name(library, heap, threads)}")
                spare = spare["next"]


# ---- The profile ---------------------------------------------------------------------------------


def place_of(library, frame):
    """A frame as text: function and line where gdb knows them."""
    module, offset = frame >> FRAME_OFFSET_BITS, frame & (1 << FRAME_OFFSET_BITS) - 1
    if module == 0:
        return f"{offset:#x}" if offset else "unknown"
    entry = library.variable("known", "profile/modules.c")["modules"][module - 1]
    name = f"{entry['path'].string(errors='replace')}+{offset:#x}"
    if not entry["is_loaded"]:
        return name
    address = int(entry["start"]) + offset - int(entry["offset"])
    block = gdb.block_for_pc(address)
    while block is not None and block.function is None:
        block = block.superblock
    if block is None:
        symbol = gdb.execute(f"info symbol {address}", to_string=True).split(" in section")[0]
        return name if symbol.startswith("No symbol") else f"{symbol} in {name}"
    line = gdb.find_pc_line(address)
    where = f"{line.symtab.filename}:{line.line}" if line.symtab else name
    return f"{block.function.print_name} at {where}"


def at_place(library, place, kind):
    """What is at a place of the profile's table: a pointer to `kind`."""
    base = int(library.variable("table", "profile/sites.c")["base"])
    return gdb.Value(base + (place << 3)).cast(kind).dereference()


def site_at(library, place):
    """A site of the profile by its place."""
    kind = library.objfile.lookup_global_symbol("site_at").type.target()
    return at_place(library, place, kind)


def frames_of(library, site):
    """The frames of a site, innermost first: its own, then those of its stems."""
    depth = int(site["depth"])
    own_types = library.objfile.lookup_global_symbol("site_at").symtab.static_block()
    kind = gdb.lookup_type("stem_t", own_types)
    length = kind["frames"].type.sizeof // 8
    own = (depth - 1) % length + 1 if depth > 0 else 0
    yield from (int(site["frames"][i]) for i in range(own))
    place = int(site["stem"])
    while place != 0:
        stem = at_place(library, place, kind.pointer())
        yield from (int(stem["frames"][i]) for i in range(length))
        place = int(stem["outer"])


def show_stack(library, site, most):
    """The frames of a site, innermost first."""
    depth = int(site["depth"])
    if depth == 0:
        print("    (sites that found no room in the table)")
    for i, frame in zip(range(most), frames_of(library, site)):
        print(f"    #{i:<2} {place_of(library, frame)}")
    if depth > most:
        print(f"    … and {depth - most} more")


def show_sample(library, address):
    """What the profile knows of a block."""
    live = library.variable("live", "profile/live.c")
    samples, numbers, mask = live["samples"], live["numbers"], 2 * int(live["capacity"]) - 1
    at = ((address >> 4) * 0x9E3779B97F4A7C15 & WORD) >> 20 & mask
    number = int(numbers[at]) if int(samples) != 0 else 0
    while number != 0 and int(samples[number - 1]["address"]) != address:
        at = at + 1 & mask
        number = int(numbers[at])
    if number == 0:
        print("  sample  its allocation was not recorded")
        return
    sample = samples[number - 1]
    weight = float(sample["weight"])
    print(
        f"  sample  {int(sample['size'])} bytes asked for by the profile's thread"
        f" {int(sample['thread'])}; stands for {weight:.1f} blocks; its site:"
    )
    show_stack(library, site_at(library, int(sample["site"])), 64)


def sites(library):
    """All sites of the profile."""
    table = library.variable("table", "profile/sites.c")
    if int(table["base"]) == 0:
        raise Lacking("there is no profile in this process (TIDE_CONF=profile:true)")
    yield site_at(library, int(table["overflow"]))
    for bucket in range(int(table["mask"]) + 1):
        place = int(table["buckets"][bucket])
        while place != 0:
            site = site_at(library, place)
            yield site
            place = int(site["next"])


# ---- Commands ------------------------------------------------------------------------------------


def guarded(command):
    """Turns what cannot be done into gdb's error."""

    def invoke(self, argument, from_tty):
        try:
            command(self, argument, from_tty)
        except Lacking as lacking:
            raise gdb.GdbError(f"tide: {lacking}") from lacking
        except gdb.MemoryError as error:
            raise gdb.GdbError(
                f"tide: {error}: not in the core file, or tidemalloc's data are damaged"
            ) from error

    return invoke


class Tide(gdb.Command):
    """What tidemalloc knows of the program's memory: its blocks, heaps and call sites."""

    def __init__(self):
        super().__init__("tide", gdb.COMMAND_DATA, gdb.COMPLETE_COMMAND, True)


class TideBlock(gdb.Command):
    """What an address is to tidemalloc.

    tide block EXPRESSION

    Says which block the address is of, whether it is live or free and then where it waits, its span
    and size class, whose the span is, and, if the block is a sample of a profile, its call site."""

    def __init__(self):
        super().__init__("tide block", gdb.COMMAND_DATA, gdb.COMPLETE_EXPRESSION)

    @guarded
    def invoke(self, argument, from_tty):
        """gdb calls it."""
        if not argument.strip():
            raise gdb.GdbError("tide block: which? An expression, as in: tide block p->next")
        value = gdb.parse_and_eval(argument)
        if value.type.strip_typedefs().code == gdb.TYPE_CODE_ARRAY:
            value = value.address
        show_block(Library(), int(value) & WORD)


class TideHeaps(gdb.Command):
    """The heaps, one for each thread that allocated, and what each keeps for its next allocations.

    free blocks are those in bins and chains laid aside; spans with room and empty ones are the
    heap's besides those that it allocates from."""

    def __init__(self):
        super().__init__("tide heaps", gdb.COMMAND_DATA)

    @guarded
    def invoke(self, argument, from_tty):
        """gdb calls it."""
        library = Library()
        threads = library.thread_names()
        classes = library.classes.type.range()[1] + 1
        print("heap               free blocks        bytes  with room  empty spans  whose")
        for heap in library.heaps():
            blocks = in_bytes = with_room = 0
            for c in range(classes):
                count = len(list(chain(library, heap["bins"][c]["head"])))
                count += len(list(chain(library, heap["classes"][c]["aside"])))
                blocks += count
                in_bytes += count * int(library.classes[c]["size"])
                with_room += int(heap["classes"][c]["with_room_count"])
            whose = heap_name(library, heap, threads).split(", ", 1)[1]
            print(
                f"{int(heap.address):#018x} {blocks:11} {in_bytes:12} {with_room:10}"
                f" {int(heap['spare']['count']):12}  {whose}"
            )


class TideSites(gdb.Command):
    """The call sites of the profile that have the most live bytes.

    tide sites [COUNT]

    10 of them by default, with 8 frames each. Bytes and blocks are estimates."""

    def __init__(self):
        super().__init__("tide sites", gdb.COMMAND_DATA)

    @guarded
    def invoke(self, argument, from_tty):
        """gdb calls it."""
        library = Library()
        count = int(gdb.parse_and_eval(argument)) if argument.strip() else 10
        known = [site for site in sites(library) if int(site["figures"]["samples"]) > 0]
        known.sort(key=lambda site: -int(site["figures"]["live_bytes"]))
        print(f"{len(known)} sites; live bytes, live blocks, allocated bytes")
        for site in known[:count]:
            figures = site["figures"]
            print(
                f"{int(figures['live_bytes']):12} {int(figures['live_blocks']) / 1000:12.0f}"
                f" {int(figures['allocated_bytes']):14}"
            )
            show_stack(library, site, 8)


Tide()
TideBlock()
TideHeaps()
TideSites()
