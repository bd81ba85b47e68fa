import { recall, remember } from './remembered.ts';

const OFF_KEY = 'pacerid.singleKeys';

let on = $state(recall(OFF_KEY) !== 'off');

/** Keys that act by themselves, without Ctrl. Who speaks to the computer, or misses a key now and then, switches them off. */
export const singleKeys = {
  get on(): boolean {
    return on;
  },
  switch(to: boolean): void {
    on = to;
    remember(OFF_KEY, to ? 'on' : 'off');
  },
};
