// Preloaded into long-running children: when the parent is gone, even by SIGKILL, the child is asked to stop as usual. The IPC
// channel to the parent closes at that moment; the channel must not keep alive a child that has nothing else to do.
process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'));
process.channel?.unref();
