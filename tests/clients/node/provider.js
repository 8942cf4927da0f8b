// A provider whose user agrees to everything at once. Usage: node provider.js '<settings as JSON>'

import { answerInteraction } from './interaction.js';
import { configuration } from './provider-configuration.js';
import { serve } from './serve-provider.js';

await serve(JSON.parse(process.argv[2]), configuration, answerInteraction);
