"""Threads that wait for work, in machine code: a kernel's chunks are done without Python.

``symdiff_parallel_for(function, table, n_chunks, n_workers)`` calls ``function(table, chunk,
worker)`` for each chunk and gives all statuses together. The calling thread is worker 0 and takes
chunks like the others; it never waits for a thread that has not begun one. A call that finds the
pool at work (another thread's kernel, or a kernel within a chunk) does its chunks alone, as does
one for which no thread could be made. Which thread does a chunk is the only thing that varies.

After a fork a child has none of the threads; the pool is then put back to its beginning.
"""

from __future__ import annotations

__all__ = ["FORGET_THREADS", "IGNORE", "MODULE", "ONE", "PARALLEL_FOR", "THREADS", "WORKERS"]

PARALLEL_FOR, WORKERS = "symdiff_parallel_for", "symdiff_workers"
ONE, IGNORE = "symdiff_one", "symdiff_ignore"
"""What stands for the number of a BLAS' threads, and for setting it, where it has none."""
THREADS, FORGET_THREADS = "symdiff_threads", "symdiff_forget_threads"
MAX_WORKERS = 256

MODULE = """
@mutex = internal global [64 x i8] zeroinitializer, align 64
@wake = internal global [64 x i8] zeroinitializer, align 64
@done = internal global [64 x i8] zeroinitializer, align 64
@busy = internal global i32 0
@started = internal global i64 1
@generation = internal global i64 0
@is_open = internal global i32 0
@active = internal global i64 0
@function = internal global ptr null
@table = internal global ptr null
@count = internal global i64 0
@wanted = internal global i64 0
@joined = internal global i64 0
@next = internal global i64 0, align 64
@status = internal global i32 0, align 64

declare i32 @pthread_mutex_lock(ptr)
declare i32 @pthread_mutex_unlock(ptr)
declare i32 @pthread_cond_wait(ptr, ptr)
declare i32 @pthread_cond_signal(ptr)
declare i32 @pthread_cond_broadcast(ptr)
declare i32 @pthread_create(ptr, ptr, ptr, ptr)
declare i32 @pthread_detach(i64)
declare ptr @memset(ptr, i32, i64)
@symdiff_threads = external global i64

define i64 @symdiff_workers(i64 %chunks) {
  %set = load i64, ptr @symdiff_threads
  %some = icmp slt i64 %set, %chunks
  %fewer = select i1 %some, i64 %set, i64 %chunks
  %few = icmp slt i64 %fewer, MAXIMUM
  %most = select i1 %few, i64 %fewer, i64 MAXIMUM
  %none = icmp slt i64 %most, 1
  %workers = select i1 %none, i64 1, i64 %most
  ret i64 %workers
}

define internal i32 @take(ptr %function, ptr %table, i64 %n, i64 %worker) {
entry:
  br label %again
again:
  %before = phi i32 [ 0, %entry ], [ %all, %one ]
  %chunk = atomicrmw add ptr @next, i64 1 seq_cst
  %is_left = icmp slt i64 %chunk, %n
  br i1 %is_left, label %one, label %end
one:
  %mine = call i32 %function(ptr %table, i64 %chunk, i64 %worker)
  %all = or i32 %before, %mine
  br label %again
end:
  ret i32 %before
}

define internal ptr @work(ptr %seen) {
entry:
  %first = ptrtoint ptr %seen to i64
  br label %wait
wait:
  %known = phi i64 [ %first, %entry ], [ %now, %closed ], [ %now, %finished ]
  call i32 @pthread_mutex_lock(ptr @mutex)
  br label %look
look:
  %now = load i64, ptr @generation
  %is_old = icmp eq i64 %now, %known
  br i1 %is_old, label %sleep, label %awake
sleep:
  call i32 @pthread_cond_wait(ptr @wake, ptr @mutex)
  br label %look
awake:
  %open = load i32, ptr @is_open
  %number = load i64, ptr @joined
  %wanted = load i64, ptr @wanted
  %is_open_now = icmp ne i32 %open, 0
  %is_wanted = icmp slt i64 %number, %wanted
  %joins = and i1 %is_open_now, %is_wanted
  br i1 %joins, label %join, label %closed
closed:
  call i32 @pthread_mutex_unlock(ptr @mutex)
  br label %wait
join:
  %joined = add i64 %number, 1
  store i64 %joined, ptr @joined
  %active = load i64, ptr @active
  %more = add i64 %active, 1
  store i64 %more, ptr @active
  %function = load ptr, ptr @function
  %table = load ptr, ptr @table
  %n = load i64, ptr @count
  call i32 @pthread_mutex_unlock(ptr @mutex)
  %result = call i32 @take(ptr %function, ptr %table, i64 %n, i64 %number)
  %old = atomicrmw or ptr @status, i32 %result seq_cst
  call i32 @pthread_mutex_lock(ptr @mutex)
  %active.2 = load i64, ptr @active
  %less = sub i64 %active.2, 1
  store i64 %less, ptr @active
  %is_last = icmp eq i64 %less, 0
  br i1 %is_last, label %tell, label %finished
tell:
  call i32 @pthread_cond_signal(ptr @done)
  br label %finished
finished:
  call i32 @pthread_mutex_unlock(ptr @mutex)
  br label %wait
}

define internal void @start(i64 %workers) {
entry:
  %thread = alloca i64
  %seen = load i64, ptr @generation
  %argument = inttoptr i64 %seen to ptr
  br label %test
test:
  %there = load i64, ptr @started
  %enough = icmp sge i64 %there, %workers
  br i1 %enough, label %end, label %make
make:
  %failed = call i32 @pthread_create(ptr %thread, ptr null, ptr @work, ptr %argument)
  %is_made = icmp eq i32 %failed, 0
  br i1 %is_made, label %made, label %end
made:
  %id = load i64, ptr %thread
  call i32 @pthread_detach(i64 %id)
  %more = add i64 %there, 1
  store i64 %more, ptr @started
  br label %test
end:
  ret void
}

define i32 @symdiff_parallel_for(ptr %function, ptr %table, i64 %n, i64 %workers) {
entry:
  %is_alone = icmp sle i64 %workers, 1
  br i1 %is_alone, label %alone, label %try
try:
  %taken = cmpxchg ptr @busy, i32 0, i32 1 seq_cst seq_cst
  %is_mine = extractvalue { i32, i1 } %taken, 1
  br i1 %is_mine, label %share, label %alone
share:
  call void @start(i64 %workers)
  call i32 @pthread_mutex_lock(ptr @mutex)
  store ptr %function, ptr @function
  store ptr %table, ptr @table
  store i64 %n, ptr @count
  store i64 %workers, ptr @wanted
  store i64 1, ptr @joined
  store i64 0, ptr @next
  store i32 0, ptr @status
  store i32 1, ptr @is_open
  %generation = load i64, ptr @generation
  %newer = add i64 %generation, 1
  store i64 %newer, ptr @generation
  call i32 @pthread_cond_broadcast(ptr @wake)
  call i32 @pthread_mutex_unlock(ptr @mutex)
  %mine = call i32 @take(ptr %function, ptr %table, i64 %n, i64 0)
  call i32 @pthread_mutex_lock(ptr @mutex)
  store i32 0, ptr @is_open
  br label %look
look:
  %active = load i64, ptr @active
  %is_done = icmp eq i64 %active, 0
  br i1 %is_done, label %finish, label %sleep
sleep:
  call i32 @pthread_cond_wait(ptr @done, ptr @mutex)
  br label %look
finish:
  call i32 @pthread_mutex_unlock(ptr @mutex)
  %theirs = load atomic i32, ptr @status seq_cst, align 4
  %all = or i32 %mine, %theirs
  store atomic i32 0, ptr @busy seq_cst, align 4
  ret i32 %all
alone:
  br label %test
test:
  %chunk = phi i64 [ 0, %alone ], [ %following, %one ]
  %before = phi i32 [ 0, %alone ], [ %together, %one ]
  %is_left = icmp slt i64 %chunk, %n
  br i1 %is_left, label %one, label %end
one:
  %result = call i32 %function(ptr %table, i64 %chunk, i64 0)
  %together = or i32 %before, %result
  %following = add i64 %chunk, 1
  br label %test
end:
  ret i32 %before
}

define i32 @symdiff_one() {
  ret i32 1
}

define void @symdiff_ignore(i32 %number) {
  ret void
}

define void @symdiff_forget_threads() {
  call ptr @memset(ptr @mutex, i32 0, i64 64)
  call ptr @memset(ptr @wake, i32 0, i64 64)
  call ptr @memset(ptr @done, i32 0, i64 64)
  store i64 1, ptr @started
  store i64 0, ptr @active
  store i32 0, ptr @is_open
  store i32 0, ptr @busy
  ret void
}
""".replace("MAXIMUM", str(MAX_WORKERS))
"""The pool as LLVM code; ``symdiff_threads`` is the number of threads that is set."""
