/**
 * Counts what is done without a break. The result of `most` is the largest number of calls of `count` between two turns of the event loop,
 * in which nothing else can happen: no request is answered, and no timer fires.
 */
export function countPerTurn(): { count(): void; most(): number } {
  let [inTurn, most] = [0, 0];
  let isOver = false;
  const turn = (): void => {
    inTurn = 0;
    if (!isOver) setImmediate(turn);
  };
  setImmediate(turn);
  return {
    count() {
      most = Math.max(most, ++inTurn);
    },
    most() {
      isOver = true;
      return most;
    },
  };
}
