// Preloaded into a long-running child: when the process that started it is gone, even by SIGKILL, the child is asked to stop as usual.
// The channel to the parent closes in that moment; it must not keep a child alive that has nothing else to do.
process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'));
process.channel?.unref();
