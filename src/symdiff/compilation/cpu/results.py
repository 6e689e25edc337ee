"""Memory of large results, in machine code: what is let go is kept for the next call.

The system clears the pages of new memory one after the other, which takes as long as computing
what goes there. ``symdiff_new_array`` makes an array of NumPy's as ``PyArray_Empty`` does, with
memory of a handler of its own (NEP 49), which the array remembers; nobody else's arrays come to it.
The handler keeps up to `SLOTS` blocks, ``symdiff_result_memory`` bytes in all, and gives one that
is at most an eighth too large to the next array. Blocks that have not been asked for during `AGE`
requests and returns go back to the system, and the oldest ones where there is no more room.

Blocks are mapped, not allocated: the C library would not give all of them back to the system.
A block begins with a line that says how many bytes come behind it. Who finds the table of blocks in
use by another thread does without it.
"""

from __future__ import annotations

import mmap

__all__ = ["CAPSULE", "HANDLER", "LIMIT", "MODULE", "NEW_ARRAY", "THRESHOLD"]

NEW_ARRAY, LIMIT = "symdiff_new_array", "symdiff_result_memory"
HANDLER, CAPSULE = "symdiff_result_handler", "symdiff_result_capsule"
THRESHOLD = 128 << 10
"""Below so many bytes the C library keeps memory itself."""
SLOTS, AGE = 64, 256
_HUGE = 4 << 20
"""From here on NumPy asks the system for large pages, and so do we."""
_PAGE, _MADV_HUGEPAGE = 4096, 14
_READ_WRITE = mmap.PROT_READ | mmap.PROT_WRITE
_OWN = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
_EMPTY, _SET_HANDLER = 184, 304
"""Where ``PyArray_Empty`` and ``PyDataMem_SetHandler`` are in NumPy's table of functions."""

MODULE = f"""
%slot = type {{ ptr, i64, i64 }}
@slots = internal global [{SLOTS} x %slot] zeroinitializer, align 64
@held = internal global i64 0
@clock = internal global i64 0
@lock = internal global i32 0
@{CAPSULE} = global ptr null
@{LIMIT} = external global i64
@{HANDLER} = global {{ [127 x i8], i8, ptr, ptr, ptr, ptr, ptr }} {{
  [127 x i8] c"symdiff{chr(92)}00{f"{chr(92)}00" * 119}", i8 1,
  ptr null, ptr @allocate, ptr @allocate_zeros, ptr @resize, ptr @let_go }}

declare ptr @mmap(ptr, i64, i32, i32, i32, i64)
declare i32 @munmap(ptr, i64)
declare i32 @madvise(ptr, i64, i32)
declare ptr @memcpy(ptr, ptr, i64)
declare ptr @memset(ptr, i32, i64)
declare void @Py_DecRef(ptr)

define internal void @drop(i64 %n) {{
  %base.slot = getelementptr [{SLOTS} x %slot], ptr @slots, i64 0, i64 %n, i32 0
  %size.slot = getelementptr [{SLOTS} x %slot], ptr @slots, i64 0, i64 %n, i32 1
  %base = load ptr, ptr %base.slot
  %size = load i64, ptr %size.slot
  %held = load i64, ptr @held
  %less = sub i64 %held, %size
  store i64 %less, ptr @held
  store i64 0, ptr %size.slot
  call void @free_block(ptr %base)
  ret void
}}

; the block that has lain there longest, -1 if there is none
define internal i64 @oldest() {{
entry:
  br label %each
each:
  %n = phi i64 [ 0, %entry ], [ %next, %each ]
  %found = phi i64 [ -1, %entry ], [ %found.next, %each ]
  %since = phi i64 [ 9223372036854775807, %entry ], [ %since.next, %each ]
  %size.slot = getelementptr [{SLOTS} x %slot], ptr @slots, i64 0, i64 %n, i32 1
  %time.slot = getelementptr [{SLOTS} x %slot], ptr @slots, i64 0, i64 %n, i32 2
  %size = load i64, ptr %size.slot
  %time = load i64, ptr %time.slot
  %is_used = icmp ne i64 %size, 0
  %is_before = icmp slt i64 %time, %since
  %is_older = and i1 %is_used, %is_before
  %found.next = select i1 %is_older, i64 %n, i64 %found
  %since.next = select i1 %is_older, i64 %time, i64 %since
  %next = add i64 %n, 1
  %goes_on = icmp slt i64 %next, {SLOTS}
  br i1 %goes_on, label %each, label %end
end:
  ret i64 %found.next
}}

; make room, and give back what nobody has asked for in a long time
define internal void @trim(i64 %room) {{
entry:
  %now = load i64, ptr @clock
  %later = add i64 %now, 1
  store i64 %later, ptr @clock
  %limit = load i64, ptr @{LIMIT}
  br label %look
look:
  %n = call i64 @oldest()
  %is_none = icmp slt i64 %n, 0
  br i1 %is_none, label %end, label %one
one:
  %time.slot = getelementptr [{SLOTS} x %slot], ptr @slots, i64 0, i64 %n, i32 2
  %time = load i64, ptr %time.slot
  %age = sub i64 %later, %time
  %is_old = icmp sgt i64 %age, {AGE}
  %held = load i64, ptr @held
  %wanted = add i64 %held, %room
  %is_full = icmp sgt i64 %wanted, %limit
  %goes = or i1 %is_old, %is_full
  br i1 %goes, label %drop, label %end
drop:
  call void @drop(i64 %n)
  br label %look
end:
  ret void
}}

; the smallest block that is large enough and not much larger, null if there is none
define internal ptr @take(i64 %size) {{
entry:
  %eighth = lshr i64 %size, 3
  %most = add i64 %size, %eighth
  br label %each
each:
  %n = phi i64 [ 0, %entry ], [ %next, %each ]
  %found = phi i64 [ -1, %entry ], [ %found.next, %each ]
  %best = phi i64 [ %most, %entry ], [ %best.next, %each ]
  %size.slot = getelementptr [{SLOTS} x %slot], ptr @slots, i64 0, i64 %n, i32 1
  %there = load i64, ptr %size.slot
  %is_enough = icmp sge i64 %there, %size
  %is_better = icmp sle i64 %there, %best
  %is_it = and i1 %is_enough, %is_better
  %found.next = select i1 %is_it, i64 %n, i64 %found
  %best.next = select i1 %is_it, i64 %there, i64 %best
  %next = add i64 %n, 1
  %goes_on = icmp slt i64 %next, {SLOTS}
  br i1 %goes_on, label %each, label %looked
looked:
  %is_none = icmp slt i64 %found.next, 0
  br i1 %is_none, label %none, label %one
none:
  ret ptr null
one:
  %base.slot = getelementptr [{SLOTS} x %slot], ptr @slots, i64 0, i64 %found.next, i32 0
  %taken.slot = getelementptr [{SLOTS} x %slot], ptr @slots, i64 0, i64 %found.next, i32 1
  %base = load ptr, ptr %base.slot
  store i64 0, ptr %taken.slot
  %held = load i64, ptr @held
  %less = sub i64 %held, %best.next
  store i64 %less, ptr @held
  ret ptr %base
}}

; put a block into the first free place, for which the oldest one goes if there is none
define internal void @put(ptr %base, i64 %size) {{
entry:
  call void @trim(i64 %size)
  br label %each
each:
  %n = phi i64 [ 0, %entry ], [ %next, %taken ], [ 0, %full ]
  %size.slot = getelementptr [{SLOTS} x %slot], ptr @slots, i64 0, i64 %n, i32 1
  %there = load i64, ptr %size.slot
  %is_free = icmp eq i64 %there, 0
  br i1 %is_free, label %put, label %taken
taken:
  %next = add i64 %n, 1
  %goes_on = icmp slt i64 %next, {SLOTS}
  br i1 %goes_on, label %each, label %full
full:
  %old = call i64 @oldest()
  call void @drop(i64 %old)
  br label %each
put:
  %base.slot = getelementptr [{SLOTS} x %slot], ptr @slots, i64 0, i64 %n, i32 0
  %time.slot = getelementptr [{SLOTS} x %slot], ptr @slots, i64 0, i64 %n, i32 2
  %now = load i64, ptr @clock
  store ptr %base, ptr %base.slot
  store i64 %size, ptr %size.slot
  store i64 %now, ptr %time.slot
  %held = load i64, ptr @held
  %more = add i64 %held, %size
  store i64 %more, ptr @held
  ret void
}}

define internal i1 @enter() {{
  %taken = cmpxchg ptr @lock, i32 0, i32 1 seq_cst seq_cst
  %is_mine = extractvalue {{ i32, i1 }} %taken, 1
  ret i1 %is_mine
}}

define internal ptr @new_block(i64 %size) {{
entry:
  %more = add i64 %size, {_PAGE - 1 + 64}
  %whole = and i64 %more, {-_PAGE}
  %base = call ptr @mmap(ptr null, i64 %whole, i32 {_READ_WRITE}, i32 {_OWN}, i32 -1, i64 0)
  %address = ptrtoint ptr %base to i64
  %is_none = icmp eq i64 %address, -1
  br i1 %is_none, label %none, label %made
none:
  ret ptr null
made:
  %there = sub i64 %whole, 64
  store i64 %there, ptr %base
  %is_huge = icmp uge i64 %size, {_HUGE}
  br i1 %is_huge, label %huge, label %end
huge:
  %ignored = call i32 @madvise(ptr %base, i64 %whole, i32 {_MADV_HUGEPAGE})
  br label %end
end:
  ret ptr %base
}}

define internal void @free_block(ptr %base) {{
  %there = load i64, ptr %base
  %whole = add i64 %there, 64
  %ignored = call i32 @munmap(ptr %base, i64 %whole)
  ret void
}}

define internal ptr @allocate(ptr %context, i64 %size) {{
entry:
  %is_mine = call i1 @enter()
  br i1 %is_mine, label %look, label %new
look:
  %kept = call ptr @take(i64 %size)
  call void @trim(i64 0)
  store atomic i32 0, ptr @lock seq_cst, align 4
  %is_there = icmp ne ptr %kept, null
  br i1 %is_there, label %end, label %new
new:
  %made = call ptr @new_block(i64 %size)
  %is_none = icmp eq ptr %made, null
  br i1 %is_none, label %none, label %end
none:
  ret ptr null
end:
  %base = phi ptr [ %kept, %look ], [ %made, %new ]
  %data = getelementptr i8, ptr %base, i64 64
  ret ptr %data
}}

define internal ptr @allocate_zeros(ptr %context, i64 %count, i64 %item) {{
entry:
  %product = call {{ i64, i1 }} @llvm.umul.with.overflow.i64(i64 %count, i64 %item)
  %size = extractvalue {{ i64, i1 }} %product, 0
  %is_over = extractvalue {{ i64, i1 }} %product, 1
  br i1 %is_over, label %none, label %try
try:
  %data = call ptr @allocate(ptr %context, i64 %size)
  %is_none = icmp eq ptr %data, null
  br i1 %is_none, label %none, label %made
none:
  ret ptr null
made:
  call ptr @memset(ptr %data, i32 0, i64 %size)
  ret ptr %data
}}

declare {{ i64, i1 }} @llvm.umul.with.overflow.i64(i64, i64)

define internal ptr @resize(ptr %context, ptr %old, i64 %size) {{
entry:
  %data = call ptr @allocate(ptr %context, i64 %size)
  %is_none = icmp eq ptr %data, null
  br i1 %is_none, label %end, label %made
made:
  %base = getelementptr i8, ptr %old, i64 -64
  %there = load i64, ptr %base
  %is_less = icmp ult i64 %there, %size
  %count = select i1 %is_less, i64 %there, i64 %size
  call ptr @memcpy(ptr %data, ptr %old, i64 %count)
  call void @let_go(ptr %context, ptr %old, i64 %there)
  br label %end
end:
  ret ptr %data
}}

define internal void @let_go(ptr %context, ptr %data, i64 %ignored) {{
entry:
  %is_nothing = icmp eq ptr %data, null
  br i1 %is_nothing, label %end, label %some
some:
  %base = getelementptr i8, ptr %data, i64 -64
  %size = load i64, ptr %base
  %limit = load i64, ptr @{LIMIT}
  %is_kept = icmp sle i64 %size, %limit
  %is_large = icmp sge i64 %size, {THRESHOLD}
  %is_wanted = and i1 %is_kept, %is_large
  br i1 %is_wanted, label %try, label %free
try:
  %is_mine = call i1 @enter()
  br i1 %is_mine, label %put, label %free
put:
  call void @put(ptr %base, i64 %size)
  store atomic i32 0, ptr @lock seq_cst, align 4
  ret void
free:
  call void @free_block(ptr %base)
  br label %end
end:
  ret void
}}

define ptr @{NEW_ARRAY}(ptr %numpy, i32 %rank, ptr %shape, ptr %dtype, i64 %size) {{
entry:
  %empty.slot = getelementptr ptr, ptr %numpy, i64 {_EMPTY}
  %set.slot = getelementptr ptr, ptr %numpy, i64 {_SET_HANDLER}
  %empty = load ptr, ptr %empty.slot
  %set = load ptr, ptr %set.slot
  %is_small = icmp slt i64 %size, {THRESHOLD}
  br i1 %is_small, label %plain, label %large
plain:
  %small = call ptr %empty(i32 %rank, ptr %shape, ptr %dtype, i32 0)
  ret ptr %small
large:
  %capsule = load ptr, ptr @{CAPSULE}
  %before = call ptr %set(ptr %capsule)
  %failed = icmp eq ptr %before, null
  br i1 %failed, label %none, label %make
none:
  call void @Py_DecRef(ptr %dtype)
  ret ptr null
make:
  %array = call ptr %empty(i32 %rank, ptr %shape, ptr %dtype, i32 0)
  %ours = call ptr %set(ptr %before)
  call void @Py_DecRef(ptr %before)
  call void @Py_DecRef(ptr %ours)
  ret ptr %array
}}
"""
"""The memory as LLVM code; ``symdiff_result_memory`` is how much is kept."""
