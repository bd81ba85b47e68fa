import { mount } from 'svelte';
import { takeControl } from '../serviceWorker/control.ts';
import App from './App.svelte';
import { offline } from './state/offline.svelte.ts';
import './tokens.css';

const target = document.getElementById('app');
if (!target) throw new Error('index.html has no #app.');
// Before anything is shown: a first visit is loaded once more here, and no worker starts before the policy holds for it.
const control = await takeControl();
// A task of its own: reading the modules and drawing the page are each short, together they would be felt.
setTimeout(() => {
  target.replaceChildren();
  mount(App, { target });
  offline.begin(control);
});
