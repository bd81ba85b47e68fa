import { mount } from 'svelte';
import App from './App.svelte';
import './tokens.css';

const target = document.getElementById('app');
if (!target) throw new Error('index.html has no #app.');
// A task of its own: reading the modules and drawing the page are each short, together they would be felt.
setTimeout(() => mount(App, { target }));
