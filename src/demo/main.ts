import { mount } from 'svelte';
import '../app/tokens.css';
import { askToTakeOver, takeControl } from '../serviceWorker/control.ts';
import Demo from './Demo.svelte';
import './demo.css';

const target = document.getElementById('app');
if (!target) throw new Error('index.html has no #app.');
// Before anything is shown: a first visit is loaded once more here, and no worker starts before the policy holds for it.
const control = await takeControl();
const newer = control.held ? control.registration.waiting : null;
if (newer) {
  // Nothing is under way that an update could cut off. Other tabs keep theirs until they are closed.
  navigator.serviceWorker.addEventListener('controllerchange', () => location.reload(), { once: true });
  void askToTakeOver(newer);
}
target.replaceChildren();
mount(Demo, { target, props: { serviceWorker: control.held ? control.registration.active : null } });
