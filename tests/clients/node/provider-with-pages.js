// A provider with pages for people. Usage: node provider-with-pages.js '<settings as JSON>'

import { answerWithPages } from './pages.js';
import { configuration } from './pages-configuration.js';
import { serve } from './serve-provider.js';

await serve(JSON.parse(process.argv[2]), configuration, answerWithPages);
